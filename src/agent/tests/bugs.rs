//! What a bug may not do: be gone on after, or be waited for.

use super::*;

/// Nobody knows what the runtime has of it. The daemon that is started next looks.
#[tokio::test]
async fn a_panic_in_an_effect_ends_the_loop_and_whoever_waits_is_told() {
    let mut scene = Scene::with_docker().await;
    scene.world.panics.store(true, Ordering::Relaxed);
    scene.push(vec![insecure("a.corp")], None).await;
    let ended = timeout(PATIENCE, &mut scene.work).await.expect("it ends");
    let panic = ended.unwrap_err().into_panic();
    assert_eq!(panic.downcast_ref(), Some(&"an index out of bounds"));
    let effects = BTreeSet::new();
    let asked = scene.handle.ask(|reply| Request::Perform { effects, reply });
    timeout(PATIENCE, asked).await.expect("no answer is an answer").unwrap_err();
}

/// A client that waits for the end of the work looks at the phase alone.
#[tokio::test]
async fn while_an_effect_is_performed_the_node_is_working() {
    let scene = Scene::with_docker().await;
    let gate = scene.close_gate();
    let status = scene.push(vec![insecure("a.corp")], None).await;
    assert_eq!(status.phase, Phase::Working);
    let status = scene.push(vec![insecure("a.corp"), with_ca("b.corp")], None).await;
    assert_eq!((status.phase, status.due.len()), (Phase::Working, 1));
    gate.add_permits(9);
    scene.settled().await;
}
