//! Which runtime a kubelet is told to use. Pure.

/// The CRI endpoint that `kubeadm-flags.env` names in a flag, or `config.yaml` in a key.
pub fn runtime_endpoint(text: &str) -> Option<&str> {
    let keys = ["--container-runtime-endpoint", "containerRuntimeEndpoint:"];
    let after = keys.into_iter().find_map(|key| Some(text.split_once(key)?.1))?;
    let value = after.lines().next()?.trim_start_matches([' ', '=', '"', '\'']);
    value.split([' ', '"', '\'']).next().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::runtime_endpoint;

    #[test]
    fn the_endpoint_is_found_in_flags_and_in_the_configuration() {
        for (text, endpoint) in [
            (
                "KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint=unix:///run/cri-dockerd.sock \
                 --pod-infra-container-image=pause:3.9\"\n",
                Some("unix:///run/cri-dockerd.sock"),
            ),
            (
                "A=\"--node-ip=1.2.3.4 --container-runtime-endpoint /run/containerd.sock\"\n",
                Some("/run/containerd.sock"),
            ),
            (
                "kind: KubeletConfiguration\ncontainerRuntimeEndpoint: \"unix:///run/crio.sock\"\n",
                Some("unix:///run/crio.sock"),
            ),
            ("containerRuntimeEndpoint: \"\"\nx: y\n", None),
            ("KUBELET_KUBEADM_ARGS=\"--network-plugin=cni\"\n", None),
        ] {
            assert_eq!(runtime_endpoint(text), endpoint, "{text}");
        }
    }
}
