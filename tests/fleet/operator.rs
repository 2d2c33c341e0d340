//! What people do about a group that does not move.

use regtrust::fleet::{FleetLock as _, Outcome, Taken};

use crate::etcd::{Cluster, etcd_of, is_available};
use crate::{claim, free, names, take};

#[tokio::test]
async fn attempts_are_forgotten_one_by_one_or_all_but_never_one_under_way() {
    if !is_available() {
        return;
    }
    let cluster = Cluster::one();
    let mut fleet = cluster.fleet();
    (etcd_of(&mut fleet).slots, etcd_of(&mut fleet).max_unresolved) = (9, 9);
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| cluster.lock(name, &fleet));
    for lock in [&a, &b, &c] {
        take(lock, &claim("docker")).await;
        free(lock, &claim("docker"), Outcome::Failed).await;
    }
    take(&d, &claim("docker")).await;
    assert_eq!(names(&a.list().await.unwrap()), (vec!["d"], vec!["a", "b", "c"]));
    assert_eq!(a.resolve(Some("nobody")).await.unwrap(), []);
    assert_eq!(a.resolve(Some("host-b")).await.unwrap().len(), 1);
    assert_eq!(names(&a.list().await.unwrap()), (vec!["d"], vec!["a", "c"]));
    assert_eq!(a.resolve(None).await.unwrap().len(), 2);
    free(&d, &claim("docker"), Outcome::Failed).await;
    assert_eq!(names(&a.list().await.unwrap()), (vec![], vec!["d"]), "it was under way");
    assert_eq!(a.unlock("nobody").await.unwrap(), []);
    assert!(matches!(a.take(&claim("docker")).await, Taken::Granted));
}
