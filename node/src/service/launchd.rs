//! The agent by which the launchd of a user runs a node or a relay.
//!
//! launchd has no readiness, watchdog or sandbox of this kind: it starts the program with the
//! session and again when it fails.

use super::{MARK, Service, command, label, plain};

/// The agent's file.
pub(super) fn agent(service: &Service) -> Result<String, String> {
    let words: String =
        command(service)?.iter().map(|word| format!("    <string>{}</string>\n", escaped(word))).collect();
    let log = service.home.join("logs").join(format!("{}.log", service.role.name()));
    Ok(format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- {MARK} -->
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>{label}</string>
  <key>ProgramArguments</key>
  <array>
{words}  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ExitTimeOut</key>
  <integer>90</integer>
  <key>Umask</key>
  <integer>63</integer>
  <key>StandardOutPath</key>
  <string>/dev/null</string>
  <key>StandardErrorPath</key>
  <string>{log}</string>
</dict>
</plist>
"#,
        label = label(service.role),
        log = escaped(plain(&log)?),
    ))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::tests::service;
    use super::*;

    #[test]
    fn signs_of_markup_in_paths_are_spelt_out() {
        let agent = agent(&service("/Users/a <b> & c")).unwrap();
        assert!(agent.contains("<string>/Users/a &lt;b&gt; &amp; c</string>"), "{agent}");
        assert_eq!(agent.matches("<string>").count(), agent.matches("</string>").count());
    }
}
