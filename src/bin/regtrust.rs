//! What people type: arguments in, one function called, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    regtrust::cli::main()
}
