//! What the machine and the libraries need for the least that any node must do: the floors.
//!
//! Measured in the same run as the workloads, because both move with what else the machine does.

use std::fs::OpenOptions;
use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Instant;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use fourword_protocol::identity::{DeviceSecret, verify};
use fourword_protocol::words::{Naming, StretchInput};
use yrs::updates::decoder::Decode;
use yrs::{Any, Doc, Map, ReadTxn, StateVector, Transact, Update};

use crate::figures::{Figure, figure, percentile};

/// Bytes of one message with its header, about.
const MESSAGE_BYTES: usize = 200;

/// All floors once; `rounds` is how often each of the short ones is done.
pub(crate) fn all(scratch: &Path, rounds: usize) -> anyhow::Result<Vec<Figure>> {
    let mut figures = cryptography(rounds)?;
    let flushed = flushes(scratch, rounds.min(1000))?;
    figures.push(figure("append 200 bytes and fdatasync, median", "µs", percentile(&flushed, 50)));
    let trips = round_trips(rounds)?;
    figures.push(figure("TCP round trip over loopback, median", "µs", percentile(&trips, 50)));
    figures.push(figure("TCP round trip over loopback, 99 of 100", "µs", percentile(&trips, 99)));
    figures.push(figure("yrs alone, 10,000 messages from one document to another", "s", merging()?));
    let begun = Instant::now();
    black_box(StretchInput::Name(Naming::Standard, [7; 32]).run());
    figures.push(figure(
        "stretching one name, which is left out of all else",
        "s",
        begun.elapsed().as_secs_f64(),
    ));
    Ok(figures)
}

/// Microseconds of one call, on average.
fn each_us(rounds: usize, mut call: impl FnMut()) -> f64 {
    let begun = Instant::now();
    (0..rounds).for_each(|_| call());
    begun.elapsed().as_secs_f64() * 1e6 / rounds as f64
}

fn cryptography(rounds: usize) -> anyhow::Result<Vec<Figure>> {
    let (device, message) = (DeviceSecret::from_seeds(&[1; 32], &[2; 32]), [3; MESSAGE_BYTES]);
    let signature = device.sign(&message);
    let cipher = XChaCha20Poly1305::new(&[4; 32].into());
    let (nonce, aad) = (XNonce::from([5; 24]), [6; 64]);
    let plain = Payload { msg: &message, aad: &aad };
    let sealed = cipher.encrypt(&nonce, plain).map_err(|_| anyhow::anyhow!("sealing failed"))?;
    let key = device.key().0;
    let signed = each_us(rounds, || {
        black_box(device.sign(black_box(&message)));
    });
    let verified = each_us(rounds, || {
        black_box(verify(&key, black_box(&message), &signature));
    });
    let closed = each_us(rounds, || {
        drop(black_box(cipher.encrypt(&nonce, Payload { msg: black_box(&message), aad: &aad })));
    });
    let opened = each_us(rounds, || {
        drop(black_box(cipher.decrypt(&nonce, Payload { msg: black_box(&sealed), aad: &aad })));
    });
    Ok(vec![
        figure("sign 200 bytes", "µs", signed),
        figure("verify 200 bytes, strictly", "µs", verified),
        figure("seal 200 bytes", "µs", closed),
        figure("open 200 bytes", "µs", opened),
    ])
}

fn flushes(scratch: &Path, rounds: usize) -> anyhow::Result<Vec<f64>> {
    let folder = tempfile::tempdir_in(scratch)?;
    let mut file = OpenOptions::new().create(true).append(true).open(folder.path().join("journal"))?;
    let mut times = Vec::new();
    for _ in 0..rounds {
        let begun = Instant::now();
        file.write_all(&[7; MESSAGE_BYTES])?;
        file.sync_data()?;
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    Ok(times)
}

fn round_trips(rounds: usize) -> anyhow::Result<Vec<f64>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut near = TcpStream::connect(listener.local_addr()?)?;
    let (mut far, _) = listener.accept()?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    // Ends when the near end is dropped.
    std::thread::spawn(move || {
        let mut bytes = [0; MESSAGE_BYTES];
        while far.read_exact(&mut bytes).and_then(|()| far.write_all(&bytes)).is_ok() {}
    });
    let mut bytes = [8; MESSAGE_BYTES];
    let mut times = Vec::new();
    for _ in 0..rounds {
        let begun = Instant::now();
        near.write_all(&bytes)?;
        near.read_exact(&mut bytes)?;
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    Ok(times)
}

/// One transaction for each message, its update applied to another document.
fn merging() -> anyhow::Result<f64> {
    let (ours, theirs) = (Doc::new(), Doc::new());
    let map = ours.get_or_insert_map("messages");
    let begun = Instant::now();
    for number in 0..10_000 {
        let mut transaction = ours.transact_mut();
        map.insert(&mut transaction, format!("A-{number:06}"), Any::Buffer(vec![9; 110].into()));
        let update = transaction.encode_update_v1();
        drop(transaction);
        theirs.transact_mut().apply_update(Update::decode_v1(&update)?)?;
    }
    let took = begun.elapsed().as_secs_f64();
    let whole = theirs.transact().encode_state_as_update_v1(&StateVector::default()).len();
    anyhow::ensure!(whole > 10_000 * 110, "not all arrived");
    Ok(took)
}
