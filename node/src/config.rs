//! The settings of a node: one commented TOML file in its home, outranked by FOURWORD_* variables,
//! which are outranked by flags.
//!
//! `cli` reads it for `up` and `start` and changes it for `config set`. Invariant: a file that
//! cannot be read whole and understood is refused, never replaced by defaults: a setting lost in
//! silence could put a node online that its owner meant to keep apart.

use std::fmt;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use toml::Spanned;

use crate::{logging, paths};

/// The version of the file's shape that this program writes, and the newest it reads.
const SCHEMA: u32 = 1;

/// Bytes of the largest settings file that is read.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Addresses listed under one key.
const ADDRESSES_MAX: usize = 64;

/// What a new home gets. Every key is there with its default, so that it can be edited in place.
pub const TEMPLATE: &str = r#"# Settings of this Fourword node. Change them here or with `fourword config set KEY VALUE`.
# They count from the next start. FOURWORD_* variables and flags outrank them.

# The version of this file's shape. Not to be changed by hand.
schema = 1

# Where other nodes may dial this one. Port 0 lets the system choose a port at each start.
listen = ["/ip4/0.0.0.0/udp/0/quic-v1", "/ip4/0.0.0.0/tcp/0"]

# Nodes dialled first, as multiaddrs that end with /p2p/ and a peer id.
bootstrap = []

# Relays, as multiaddrs that end with /p2p/ and a peer id. They lead nodes to each other that cannot
# reach each other by themselves, and can read nothing. Two are enough; one is used if the other fails.
relays = []

# Where programs on this device reach the API over TCP. Loopback only.
api = "127.0.0.1:0"

# Find nodes in the same local network by themselves.
mdns = true

# What is logged: error, warn, info, debug or trace, also per part ("info,network=debug"). While the
# node runs, `fourword log` shows the parts and changes their levels until the next start.
log = "info,libp2p_swarm=warn,libp2p_gossipsub=error"

# The name shown to others. Taken when this node has none yet; later: `fourword name NAME`.
name = ""
"#;

/// What a node is started with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// The version of the file's shape.
    pub schema: u32,
    /// Multiaddrs to listen on.
    pub listen: Vec<String>,
    /// Multiaddrs to dial first.
    pub bootstrap: Vec<String>,
    /// Multiaddrs of relays.
    pub relays: Vec<String>,
    /// Where the API listens, loopback only.
    pub api: SocketAddr,
    /// Whether nodes in the local network are found by mDNS.
    pub mdns: bool,
    /// The filter of the log.
    pub log: String,
    /// The name to take if none is set; empty for none.
    pub name: String,
}

/// Why settings were refused: where, what and what can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// What is wrong, with file and line where there is one.
    pub message: String,
    /// What the person can do.
    pub hint: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}

/// The file as written: every key may be left out.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: Option<Spanned<u32>>,
    listen: Option<Spanned<Vec<String>>>,
    bootstrap: Option<Spanned<Vec<String>>>,
    relays: Option<Spanned<Vec<String>>>,
    api: Option<Spanned<String>>,
    mdns: Option<bool>,
    log: Option<Spanned<String>>,
    name: Option<Spanned<String>>,
}

impl Default for Settings {
    fn default() -> Settings {
        let listen = ["/ip4/0.0.0.0/udp/0/quic-v1", "/ip4/0.0.0.0/tcp/0"];
        Settings {
            schema: SCHEMA,
            listen: listen.map(String::from).into(),
            bootstrap: Vec::new(),
            relays: Vec::new(),
            api: SocketAddr::from(([127, 0, 0, 1], 0)),
            mdns: true,
            log: "info,libp2p_swarm=warn,libp2p_gossipsub=error".into(),
            name: String::new(),
        }
    }
}

impl Settings {
    /// Reads the file at `path`; a file that is not there gives the defaults.
    pub fn load(path: &Path) -> Result<Settings, ConfigError> {
        match read(path)? {
            Some(text) => Settings::parse(path, &text),
            None => Ok(Settings::default()),
        }
    }

    /// Writes the commented file of a new home, unless there is one.
    pub fn create(path: &Path) -> Result<(), ConfigError> {
        match path.try_exists() {
            Ok(true) => Ok(()),
            Ok(false) => paths::replace(path, TEMPLATE.as_bytes()).map_err(|e| unusable(path, &e)),
            Err(e) => Err(unusable(path, &e)),
        }
    }

    /// Lets FOURWORD_* variables, looked up by `environment`, outrank what the file says.
    pub fn outranked_by(
        mut self,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Settings, ConfigError> {
        let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
        let wrong = |name: &str, reason: String| ConfigError {
            message: format!("{name}: {reason}"),
            hint: format!("change or unset {name}"),
        };
        for (name, addresses) in [
            ("FOURWORD_LISTEN", &mut self.listen),
            ("FOURWORD_BOOTSTRAP", &mut self.bootstrap),
            ("FOURWORD_RELAYS", &mut self.relays),
        ] {
            if let Some(value) = variable(name) {
                *addresses = value.split(',').map(|address| address.trim().to_owned()).collect();
                check_addresses(addresses).map_err(|reason| wrong(name, reason))?;
            }
        }
        if let Some(value) = variable("FOURWORD_API") {
            self.api = read_api(&value).map_err(|reason| wrong("FOURWORD_API", reason))?;
        }
        if let Some(value) = variable("FOURWORD_LOG") {
            logging::check(&value).map_err(|reason| wrong("FOURWORD_LOG", reason))?;
            self.log = value;
        }
        if let Some(value) = variable("FOURWORD_NAME") {
            check_name(&value).map_err(|reason| wrong("FOURWORD_NAME", reason))?;
            self.name = value;
        }
        Ok(self)
    }

    fn parse(path: &Path, text: &str) -> Result<Settings, ConfigError> {
        let wrong = |span: Option<Range<usize>>, reason: &str| {
            let line = span.map(|span| format!(":{}", line(text, span.start))).unwrap_or_default();
            ConfigError {
                message: format!("{}{line}: {reason}", path.display()),
                hint: "correct that line; `fourword config schema` says what each key takes".into(),
            }
        };
        let file: File = toml::from_str(text).map_err(|e| wrong(e.span(), e.message()))?;
        let mut settings = Settings::default();
        if let Some(schema) = &file.schema
            && (*schema.get_ref() == 0 || *schema.get_ref() > SCHEMA)
        {
            let reason = format!("schema {} is not known to this version", schema.get_ref());
            return Err(wrong(Some(schema.span()), &reason));
        }
        for (given, setting) in [
            (file.listen, &mut settings.listen),
            (file.bootstrap, &mut settings.bootstrap),
            (file.relays, &mut settings.relays),
        ] {
            if let Some(given) = given {
                check_addresses(given.get_ref()).map_err(|e| wrong(Some(given.span()), &e))?;
                *setting = given.into_inner();
            }
        }
        if let Some(api) = file.api {
            settings.api = read_api(api.get_ref()).map_err(|e| wrong(Some(api.span()), &e))?;
        }
        if let Some(log) = file.log {
            logging::check(log.get_ref()).map_err(|e| wrong(Some(log.span()), &e))?;
            settings.log = log.into_inner();
        }
        if let Some(name) = file.name {
            check_name(name.get_ref()).map_err(|e| wrong(Some(name.span()), &e))?;
            settings.name = name.into_inner();
        }
        settings.mdns = file.mdns.unwrap_or(settings.mdns);
        Ok(settings)
    }

    /// The value of one key, or all of them, as JSON.
    pub fn get(&self, key: Option<&str>) -> Result<Value, ConfigError> {
        let all = json!(self);
        match key {
            None => Ok(all),
            Some(key) => all.get(key).cloned().ok_or_else(|| unknown_key(key)),
        }
    }
}

/// Changes one key of the file at `path`, keeping its comments; makes the file if there is none.
///
/// Lists are given with commas between their items. The new file is checked whole before it
/// replaces the old one.
pub fn set(path: &Path, key: &str, value: &str) -> Result<(), ConfigError> {
    let text = read(path)?.unwrap_or_else(|| TEMPLATE.into());
    Settings::parse(path, &text)?;
    let mut file: toml_edit::DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| ConfigError {
        message: format!("{}: {}", path.display(), e.message()),
        hint: String::new(),
    })?;
    let mut item = toml_edit::value(read_value(key, value)?);
    if let (Some(new), Some(old)) = (item.as_value_mut(), file.get(key).and_then(|old| old.as_value())) {
        *new.decor_mut() = old.decor().clone();
    }
    // Writing into the item that is there keeps the comment above its key.
    match file.get_mut(key) {
        Some(old) => *old = item,
        None => drop(file.insert(key, item)),
    }
    let text = file.to_string();
    Settings::parse(path, &text).map_err(|e| ConfigError {
        message: format!(
            "{key} cannot be \"{value}\": {}",
            e.message.rsplit(": ").next().unwrap_or_default()
        ),
        hint: "`fourword config schema` says what each key takes".into(),
    })?;
    paths::replace(path, text.as_bytes()).map_err(|e| unusable(path, &e))
}

fn read_value(key: &str, value: &str) -> Result<toml_edit::Value, ConfigError> {
    Ok(match key {
        "listen" | "bootstrap" | "relays" => {
            let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
            items.collect::<toml_edit::Array>().into()
        }
        "api" | "log" | "name" => value.into(),
        "mdns" => value.parse::<bool>().map(Into::into).map_err(|_| ConfigError {
            message: format!("mdns is true or false, not \"{value}\""),
            hint: String::new(),
        })?,
        _ => return Err(unknown_key(key)),
    })
}

/// A JSON Schema of the file.
pub fn schema() -> Value {
    let default = json!(Settings::default());
    let property = |key: &str, kind: Value, description: &str| {
        let mut property = kind.as_object().cloned().unwrap_or_default();
        property.insert("description".into(), description.into());
        property.insert("default".into(), default.get(key).cloned().unwrap_or_default());
        Value::Object(property)
    };
    let addresses = || json!({"type": "array", "items": {"type": "string"}, "maxItems": ADDRESSES_MAX});
    let text = || json!({"type": "string"});
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Settings of a Fourword node",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "schema": property("schema", json!({"type": "integer", "minimum": 1, "maximum": SCHEMA}),
                "The version of the file's shape."),
            "listen": property("listen", addresses(), "Multiaddrs where other nodes may dial this one."),
            "bootstrap": property("bootstrap", addresses(), "Multiaddrs of nodes dialled first."),
            "relays": property("relays", addresses(), "Multiaddrs of relays."),
            "api": property("api", text(), "Loopback address and port of the API."),
            "mdns": property("mdns", json!({"type": "boolean"}), "Find nodes in the local network."),
            "log": property("log", text(), "Filter of the log."),
            "name": property("name", text(), "The name taken if none is set yet."),
        },
    })
}

fn read(path: &Path) -> Result<Option<String>, ConfigError> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unusable(path, &e)),
    };
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|e| unusable(path, &e))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(unusable(path, &io::ErrorKind::FileTooLarge.into()));
    }
    Ok(Some(text))
}

fn unusable(path: &Path, error: &io::Error) -> ConfigError {
    ConfigError {
        message: format!("the settings {}: {error}", path.display()),
        hint: "see that the file and its directory can be read and written".into(),
    }
}

fn unknown_key(key: &str) -> ConfigError {
    ConfigError {
        message: format!("there is no setting \"{key}\""),
        hint: "the settings are listen, bootstrap, relays, api, mdns, log and name".into(),
    }
}

fn line(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

/// Whether all are multiaddrs; says which is not.
pub fn check_addresses(addresses: &[String]) -> Result<(), String> {
    if addresses.len() > ADDRESSES_MAX {
        return Err(format!("more than {ADDRESSES_MAX} addresses"));
    }
    match addresses.iter().find(|address| address.parse::<libp2p::Multiaddr>().is_err()) {
        Some(wrong) => Err(format!("\"{wrong}\" is not a multiaddr like /ip4/0.0.0.0/tcp/4001")),
        None => Ok(()),
    }
}

/// Reads where the API listens: an address of this device alone, with a port.
pub fn read_api(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr =
        text.parse().map_err(|_| format!("\"{text}\" is not an address with a port like 127.0.0.1:0"))?;
    if !address.ip().is_loopback() {
        return Err(format!("{address} can be reached from outside; the API listens on 127.0.0.1 or [::1]"));
    }
    Ok(address)
}

fn check_name(name: &str) -> Result<(), String> {
    let max = fourword_protocol::limits::NAME_BYTES_MAX;
    if name.len() > max {
        return Err(format!("the name is longer than {max} bytes"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
