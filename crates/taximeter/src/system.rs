//! How busy the machine is: CPU, memory, disk. Sampled only when asked for.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use sysinfo::{CpuRefreshKind, Disks, MemoryRefreshKind, RefreshKind, System};

/// One sample of the machine. What the operating system does not tell is none.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[non_exhaustive]
pub struct SystemMetrics {
    /// How busy all CPUs were since the sample before, 0 to 100 percent; none in the first sample, or where the system
    /// does not tell.
    pub cpu_percent: Option<f64>,
    /// How much of the memory is in use, 0 to 100 percent.
    pub memory_percent: Option<f64>,
    /// Memory that is still available, in bytes.
    pub memory_available_bytes: Option<u64>,
    /// How much of the disk that holds the working directory is in use, 0 to 100 percent.
    pub disk_percent: Option<f64>,
}

/// Takes samples of the machine. How busy the CPUs were is known from the second sample on.
///
/// ```
/// use taximeter::SystemSampler;
///
/// let mut sampler = SystemSampler::new();
/// let sample = sampler.sample();
/// assert_eq!(sample.cpu_percent, None); // nothing to compare with yet
/// ```
#[derive(Debug)]
pub struct SystemSampler {
    /// None where the operating system tells nothing of itself.
    system: Option<System>,
    sampled: bool,
}

impl Default for SystemSampler {
    fn default() -> Self {
        Self::new()
    }
}

impl SystemSampler {
    /// The shortest time between two samples that gives a sensible CPU figure.
    pub const MINIMUM_INTERVAL: Duration = sysinfo::MINIMUM_CPU_UPDATE_INTERVAL;

    /// A sampler that has not sampled yet.
    pub fn new() -> Self {
        let wanted = RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing().with_usage())
            .with_memory(MemoryRefreshKind::nothing().with_ram());
        Self { system: System::new_with_specifics(wanted).ok(), sampled: false }
    }

    /// Takes a sample.
    pub fn sample(&mut self) -> SystemMetrics {
        let Some(system) = &mut self.system else {
            return SystemMetrics { disk_percent: disk_percent(), ..SystemMetrics::default() };
        };
        system.refresh_cpu_usage();
        system.refresh_memory();
        let cpu = f64::from(system.global_cpu_usage());
        let had_one = std::mem::replace(&mut self.sampled, true);
        SystemMetrics {
            cpu_percent: (had_one && cpu.is_finite()).then(|| cpu.clamp(0.0, 100.0)),
            memory_percent: percent(system.used_memory(), system.total_memory()),
            memory_available_bytes: Some(system.available_memory()).filter(|bytes| *bytes > 0),
            disk_percent: disk_percent(),
        }
    }
}

/// The disk with the longest mount point above the working directory is the one that holds it.
fn disk_percent() -> Option<f64> {
    let here = std::env::current_dir().ok()?;
    let disks = Disks::new_with_refreshed_list().ok()?;
    let holds = |mount: &Path| here.starts_with(mount);
    let disk = disks
        .iter()
        .filter(|disk| holds(disk.mount_point()))
        .max_by_key(|disk| disk.mount_point().components().count())?;
    percent(disk.total_space().saturating_sub(disk.available_space()), disk.total_space())
}

#[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64 * 100.0)
}
