//! What somebody typed: a recording of edits of one text, made up or read, and the text in the end.
//!
//! The form is that of recordings which others publish: JSON, maybe packed with gzip, `txns` with `patches`
//! of a place, how many characters go there and what comes there, and `endContent`.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use flate2::read::GzDecoder;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// Bytes of a recording, unpacked.
const RECORDING_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What is typed where nobody recorded anything.
const LETTERS: &[u8] = b"etaoinshrdlu ,\n";

/// A recording in a file.
pub(crate) struct Typing {
    /// Where it lies.
    pub(crate) path: PathBuf,
    /// How many edits it has.
    pub(crate) edits: usize,
    /// The length of the text in the end, in UTF-16 units.
    pub(crate) length: usize,
    /// Its SHA-256, in hexadecimal digits.
    pub(crate) sha256: String,
    /// Removed with this.
    _folder: Option<TempDir>,
}

#[derive(Deserialize, Serialize)]
struct Recording {
    txns: Vec<Transaction>,
    #[serde(rename = "endContent")]
    end: String,
}

#[derive(Deserialize, Serialize)]
struct Transaction {
    patches: Vec<(usize, usize, String)>,
}

impl Typing {
    /// The recording in a file.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Typing> {
        let open = || File::open(path).with_context(|| format!("opening {}", path.display()));
        let mut first = [0; 2];
        let is_packed = open()?.read_exact(&mut first).is_ok() && first == [0x1f, 0x8b];
        let file = BufReader::new(open()?);
        let unpacked: Box<dyn Read> = if is_packed { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
        let recording = serde_json::from_reader(BufReader::new(unpacked.take(RECORDING_BYTES_MAX)))
            .with_context(|| format!("{} is no recording", path.display()))?;
        Ok(Typing::of(&recording, path.to_owned(), None))
    }

    /// Makes up so many edits of single characters, in a new folder under `scratch`: words are typed, taken
    /// back, and added to elsewhere, two thirds of all edits insert. The same each time.
    pub(crate) fn make_up(edits: usize, scratch: &Path) -> anyhow::Result<Typing> {
        let mut random = ChaCha20Rng::seed_from_u64(4);
        let mut draw = |upto: usize| usize::try_from(random.next_u64()).unwrap_or_default() % upto.max(1);
        let (mut text, mut txns, mut at) = (Vec::new(), Vec::new(), 0_usize);
        while txns.len() < edits {
            if draw(4) == 0 {
                at = draw(text.len() + 1);
            }
            let takes_back = draw(2) == 0;
            for _ in 0..1 + draw(if takes_back { 16 } else { 32 }) {
                let patch = if takes_back {
                    let Some(before) = at.checked_sub(1) else { break };
                    at = before;
                    text.remove(at);
                    (at, 1, String::new())
                } else {
                    let letter = LETTERS.get(draw(LETTERS.len())).copied().unwrap_or(b' ');
                    text.insert(at, letter);
                    at += 1;
                    (at - 1, 0, char::from(letter).to_string())
                };
                txns.push(Transaction { patches: vec![patch] });
                if txns.len() == edits {
                    break;
                }
            }
        }
        let recording = Recording { txns, end: String::from_utf8(text)? };
        let folder = tempfile::Builder::new().prefix("fourword-typing-").tempdir_in(scratch)?;
        let path = folder.path().join("recording.json");
        serde_json::to_writer(BufWriter::new(File::create(&path)?), &recording)?;
        Ok(Typing::of(&recording, path, Some(folder)))
    }

    fn of(recording: &Recording, path: PathBuf, folder: Option<TempDir>) -> Typing {
        let digest = Sha256::digest(recording.end.as_bytes());
        Typing {
            path,
            edits: recording.txns.iter().map(|transaction| transaction.patches.len()).sum(),
            length: recording.end.encode_utf16().count(),
            sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            _folder: folder,
        }
    }
}
