//! Every CI system of which a rule is built in, with what looks like its jobs and is none.

use super::*;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn built_in() -> Rules {
    parse_rules(None, "").unwrap()
}

/// The rule, and what the job is called.
fn told(on: On, name: &str, given: &[(&str, &str)], notes: &[(&str, &str)]) -> Option<String> {
    let (labels, annotations) = (labels(given), labels(notes));
    let subject = Subject { on, name, labels: &labels, annotations: &annotations };
    match built_in().verdict(subject) {
        Verdict::Job(rule) => {
            Some(format!("{:?} {} `{}`", rule.class, rule.name, rule.job(subject)))
        }
        Verdict::Unlabelled => None,
        Verdict::Ignored => panic!("only regtrust itself is ignored"),
    }
}

fn pod(given: &[(&str, &str)]) -> Option<String> {
    told(On::Pod, "ci/p", given, &[])
}

fn container(name: &str, given: &[(&str, &str)]) -> Option<String> {
    told(On::Container, name, given, &[])
}

#[test]
fn jobs_in_pods_are_known_by_what_their_system_labels() {
    for (given, expected) in [
        (
            &[
                ("s-type", "zadig-build"),
                ("s-name", "build-7"),
                ("batch.kubernetes.io/job-name", "b"),
            ][..],
            "Detached Zadig job `build-7 in ci/p`",
        ),
        (
            &[("app.kubernetes.io/name", "zadig"), ("app.kubernetes.io/component", "dind")],
            "Sensitive Zadig image builder `ci/p`",
        ),
        (
            &[("tekton.dev/taskRun", "t"), ("tekton.dev/pipelineRun", "r")],
            "Detached Tekton task `t in ci/p`",
        ),
        (
            &[
                ("workflows.argoproj.io/workflow", "w"),
                ("workflows.argoproj.io/completed", "false"),
            ],
            "Detached Argo workflow `w in ci/p`",
        ),
        (
            &[("job.runner.gitlab.com/pod", "p"), ("manager.runner.gitlab.com/name", "m")],
            "Attached GitLab job `ci/p`",
        ),
        (
            &[
                ("actions-ephemeral-runner", "True"),
                ("app.kubernetes.io/component", "runner"),
                ("actions.github.com/scale-set-name", "s"),
            ],
            "Attached GitHub runner `s in ci/p`",
        ),
        (
            &[("runner-pod", "r-1"), ("batch.kubernetes.io/job-name", "j")],
            "Attached GitHub job `r-1 in ci/p`",
        ),
        (
            &[("actions-runner", ""), ("runner-deployment-name", "d")],
            "Attached GitHub runner (legacy controller) `d in ci/p`",
        ),
        (&[("jenkins/label", "x"), ("jenkins", "slave")], "Attached Jenkins agent `ci/p`"),
        (&[("jenkins", "slave")], "Attached Jenkins agent (old label) `ci/p`"),
        (&[("woodpecker-ci.org/step", "build")], "Attached Woodpecker step `build in ci/p`"),
        (&[("batch.kubernetes.io/job-name", "j")], "Detached Kubernetes Job `j in ci/p`"),
        (
            &[("job-name", "j"), ("controller-uid", "1")],
            "Detached Kubernetes Job (old label) `j in ci/p`",
        ),
    ] {
        assert_eq!(pod(given).as_deref(), Some(expected));
    }
}

#[test]
fn what_only_looks_like_a_job_is_none() {
    for given in [
        &[][..],
        // Keys that anybody might use for something of their own.
        &[("s-type", "x")],
        &[("s-name", "x")],
        &[("job-name", "x")],
        &[("app.kubernetes.io/component", "dind")],
        &[("app.kubernetes.io/component", "runner")],
        // Affinity assistants of Tekton.
        &[("tekton.dev/pipelineRun", "r")],
        // Pause pods of GitLab Runner, with and without what they share with jobs.
        &[("manager.runner.gitlab.com/name", "m"), ("runner.gitlab.com/pause-pod", "true")],
        &[("job.runner.gitlab.com/pod", "p"), ("runner.gitlab.com/pause-pod", "true")],
        // The listener of a scale set.
        &[
            ("app.kubernetes.io/component", "runner-scale-set-listener"),
            ("actions.github.com/scale-set-name", "s"),
        ],
    ] {
        assert_eq!(pod(given), None, "{given:?}");
    }
}

#[test]
fn jobs_in_containers_are_known_by_label_or_by_name() {
    let gitlab = "com.gitlab.gitlab-runner.managed";
    let jenkins = "com.nirima.jenkins.plugins.docker.JenkinsId";
    for (name, given, expected) in [
        (
            "c",
            &[(gitlab, "true"), ("com.gitlab.gitlab-runner.job.id", "42")][..],
            Some("Attached GitLab job `42 in c`"),
        ),
        ("c", &[(gitlab, "false")], None),
        ("c", &[(jenkins, "1")], Some("Attached Jenkins agent `c`")),
        (
            "c",
            &[("io.drone", "true"), ("io.drone.build.number", "9")],
            Some("Attached Drone step `9 in c`"),
        ),
        (
            "c",
            &[("wp_uuid", "u"), ("wp_step", "test")],
            Some("Attached Woodpecker step `test in c`"),
        ),
        // Somebody's WordPress.
        ("wp_db_1", &[], None),
        (
            "GITEA-ACTIONS-TASK-7_WORKFLOW-a_JOB-b",
            &[],
            Some("Attached Gitea job `GITEA-ACTIONS-TASK-7_WORKFLOW-a_JOB-b`"),
        ),
        ("FORGEJO-ACTIONS-TASK-7", &[], Some("Attached Forgejo job `FORGEJO-ACTIONS-TASK-7`")),
        ("my-GITEA-ACTIONS-TASK-7", &[], None),
        // A pod's labels on a container are somebody's own.
        ("c", &[("tekton.dev/taskRun", "t")], None),
        ("postgres", &[("com.docker.compose.project", "shop")], None),
    ] {
        assert_eq!(container(name, given).as_deref(), expected, "{name} {given:?}");
    }
}

#[test]
fn a_job_is_called_what_its_annotation_says() {
    let given = [("job.runner.gitlab.com/pod", "p")];
    let named = told(On::Pod, "ci/p", &given, &[("job.runner.gitlab.com/id", "42")]);
    assert_eq!(named.as_deref(), Some("Attached GitLab job `42 in ci/p`"));
}

/// It asks for the restart that ends its own container.
#[test]
fn regtrust_does_not_wait_for_its_own_end() {
    let verdict = |on, given: &[(&str, &str)]| {
        let (labels, nothing) = (labels(given), Labels::new());
        let subject = Subject { on, name: "regtrust", labels: &labels, annotations: &nothing };
        built_in().verdict(subject) == Verdict::Ignored
    };
    let (of_pod, of_image) = (
        [("app.kubernetes.io/name", "regtrust")],
        [("org.opencontainers.image.title", "regtrust"), ("com.example", "theirs")],
    );
    assert!(verdict(On::Pod, &of_pod) && verdict(On::Container, &of_image));
    assert!(!verdict(On::Container, &of_pod) && !verdict(On::Pod, &of_image));
    assert!(!verdict(On::Container, &[("org.opencontainers.image.title", "app")]));
}
