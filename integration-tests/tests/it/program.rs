//! The program `foreshore` as a user runs it, in a folder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a run may take until it is ready.
const PATIENCE: Duration = Duration::from_secs(90);

/// A folder with a config, and the program that is started there.
pub(crate) struct Program {
    folder: TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Program {
    pub(crate) fn new(config: &str) -> Self {
        let program = Self { folder: tempfile::tempdir().expect("a temporary folder"), variables: Vec::new() };
        program.configure(config);
        program
    }

    /// Sets another config for what is started from now on.
    pub(crate) fn configure(&self, config: &str) {
        fs::write(self.folder.path().join("foreshore.toml"), config).expect("a file in the temporary folder");
    }

    /// Sets an environment variable for what is started from now on.
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.variables.retain(|(other, _)| *other != name);
        self.variables.push((name, value.to_owned()));
    }

    /// The folder that it is started in.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it; what it says is kept for [`Self::said`].
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        let said = fs::File::create(self.folder.path().join("said")).expect("a file in the temporary folder");
        command.stdout(Stdio::null()).stderr(said).spawn().expect("the program starts")
    }

    /// What the program that was started last has said on standard error.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("said")).unwrap_or_default()
    }

    /// Runs it to its end, however that is, and returns whether it went well, and all that it says.
    pub(crate) fn says(&self, arguments: &[&str]) -> (bool, String) {
        let output = self.command(arguments).output().expect("the program starts");
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
        (output.status.success(), text.concat())
    }

    /// Runs it to its end, and returns what it prints.
    #[track_caller]
    pub(crate) fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("the program starts");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Runs it to its end, which must be a failure, and returns what it says.
    #[track_caller]
    pub(crate) fn fails(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("the program starts");
        assert!(!output.status.success(), "{arguments:?} went well");
        String::from_utf8(output.stderr).expect("UTF-8")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.current_dir(self.folder.path()).args(arguments);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// What an endpoint of a run answers, once it answers with 200.
pub(crate) fn endpoint(address: &str) -> String {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Ok(mut response) = agent.get(address).call()
            && response.status() == 200
        {
            return response.body_mut().read_to_string().expect("text");
        }
        assert!(Instant::now() < deadline, "{address} is never ready");
        thread::sleep(Duration::from_millis(100));
    }
}

/// The most memory that a process has had at once, and what it has now, in bytes.
pub(crate) fn memory(process: u32) -> Option<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? << 10)
    };
    Some((of("VmHWM:")?, of("VmRSS:")?))
}

/// The program lies beside the folder of the test binaries: cargo builds it for the tests of its own crate.
fn binary() -> PathBuf {
    let tests = std::env::current_exe().expect("the test's own file");
    let outputs = tests.parent().and_then(Path::parent).expect("test binaries lie in `deps`");
    let binary = outputs.join("foreshore");
    assert!(binary.is_file(), "{} is missing; build it with `cargo build --release -p pipeline`", binary.display());
    binary
}
