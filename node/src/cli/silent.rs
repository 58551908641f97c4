//! Reads a secret from the terminal without showing it. Invariant: the terminal shows what is
//! typed again once the line is read, also when reading failed. After Ctrl-C the shell sees to it.

use std::io::{self, BufRead};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Reads one line from standard input, which must be a terminal. `prompt` is called once nothing
/// is shown any more: who types when asked is never too early.
pub(super) fn read_line(prompt: impl FnOnce()) -> io::Result<String> {
    let shown = Shown(tcgetattr(io::stdin())?);
    let mut hidden = shown.0.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    // The end of the line is shown, so that what follows stands on a line of its own.
    hidden.local_modes.insert(LocalModes::ECHONL);
    tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
    prompt();
    let mut line = String::new();
    // The terminal's own buffer bounds the line.
    io::stdin().lock().read_line(&mut line)?;
    Ok(line)
}

/// How the terminal was set; set so again when dropped.
struct Shown(Termios);

impl Drop for Shown {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
