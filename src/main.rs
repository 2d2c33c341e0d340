//! regtrustd: keeps a node's container runtimes trusting the right registries.

fn main() -> std::process::ExitCode {
    regtrust::daemon::main()
}
