//! What processes and the network have used, as the kernel counts it.

use std::fs::read_to_string;

use anyhow::Context;

/// Seconds of processor time that a process has used, all its threads together.
pub(crate) fn cpu_s(pid: u32) -> f64 {
    let Ok(line) = read_to_string(format!("/proc/{pid}/stat")) else { return 0.0 };
    let fields = line.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
    let times = fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    times.sum::<f64>() / rustix::param::clock_ticks_per_second() as f64
}

/// Megabytes of a line of the process's status, such as `VmRSS` or `VmHWM`.
pub(crate) fn memory_mb(pid: u32, line: &str) -> f64 {
    let status = read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let kibibytes = found.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
    kibibytes.unwrap_or_default() * 1024.0 / 1e6
}

/// Bytes and packets that the loopback device has carried.
pub(crate) fn loopback() -> anyhow::Result<(f64, f64)> {
    let devices = read_to_string("/proc/net/dev")?;
    let line = devices.lines().find_map(|line| line.trim().strip_prefix("lo:"));
    let mut fields = line.unwrap_or_default().split_whitespace().map(str::parse::<f64>);
    match (fields.next(), fields.next()) {
        (Some(Ok(bytes)), Some(Ok(packets))) => Ok((bytes, packets)),
        _ => Err(anyhow::anyhow!("no loopback device is counted")),
    }
}

/// How many processes wanted to run, over the last minute.
pub(crate) fn load() -> anyhow::Result<f64> {
    let text = read_to_string("/proc/loadavg")?;
    text.split_whitespace().next().and_then(|load| load.parse().ok()).context("no load average")
}

/// Milliseconds of the steady clock that all processes of a machine share.
pub(crate) fn now_ms() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as f64 * 1e3 + now.tv_nsec as f64 / 1e6
}

/// The machine in one line: processor, cores, system.
pub(crate) fn machine() -> String {
    let cpu = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("unknown processor", |(_, name)| name.trim());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cores} cores, {model}, Linux {}", kernel.trim())
}
