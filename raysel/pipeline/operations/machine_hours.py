"""What a run over many images costs in machine hours, from the rates that an index over a sample has recorded."""

from __future__ import annotations

from dataclasses import dataclass

from raysel.errors import RayselError
from raysel.store import Manifest

_HOUR = 3600.0


@dataclass(frozen=True)
class MeasuredRates:
    """What one run measured. An actor of a scan is one GPU, or one core that also decodes."""

    gpu: bool
    decode: float
    """Images per second that one core decodes."""
    forward: float
    """Images per second whose activations one actor computes."""
    derive_s: float
    """Core seconds to derive all neurons, without decoding."""
    derive_images: int
    """Images that derive decodes at most: the first N of each ranking."""

    @classmethod
    def of(cls, manifest: Manifest) -> MeasuredRates:
        """The rates in a manifest, whose counters are sums over all actors.

        Raises:
            RayselError: it has none, since its scan had no images.
        """
        counters, images = manifest.counters, manifest.counts.usable
        decode_s, forward_s = counters.get("scan.decode_s", 0), counters.get("scan.forward_s", 0)
        if not (images > 0 and decode_s > 0 and forward_s > 0):
            raise RayselError("this index has no rates of a scan: make one over a sample, raysel index --limit 5000")
        n_max = int(manifest.config.get("derive", {}).get("n_max", 100))
        return cls(
            gpu=bool(manifest.config.get("scan", {}).get("gpus", 0)),
            decode=images / decode_s,
            forward=images / forward_s,
            derive_s=float(counters.get("derive.kernel_s", 0)),
            derive_images=manifest.counts.neurons * n_max,
        )

    @property
    def cores_per_gpu(self) -> float:
        """Cores that decode as fast as one GPU computes."""
        return self.forward / self.decode


@dataclass(frozen=True)
class MachineHours:
    """The cost of a run with some number of actors. It scales with them until the driver is the limit."""

    workers: int
    """GPUs, or cores of a scan on CPUs."""
    cores: int
    """Cores of the cluster: those that decode for the GPUs, or the actors' own."""
    scan_hours: float
    derive_hours: float
    gpu_hours: float
    core_hours: float

    @property
    def hours(self) -> float:
        """From start to end, without the start of machines."""
        return self.scan_hours + self.derive_hours


def machine_hours(rates: MeasuredRates, images: int, workers: int) -> MachineHours:
    """What a run over `images` images costs with this number of actors.

    Images that are larger than those of the sample take longer to decode. A core of derive is a core of the scan.
    """
    decode_s, forward_s = images / rates.decode, images / rates.forward
    cores = max(1, -int(-workers * rates.cores_per_gpu // 1)) if rates.gpu else workers
    scan_s = max(forward_s / workers, decode_s / cores) if rates.gpu else (decode_s + forward_s) / workers
    derive_s = (rates.derive_s + min(images, rates.derive_images) / rates.decode) / cores
    return MachineHours(
        workers=workers,
        cores=cores,
        scan_hours=scan_s / _HOUR,
        derive_hours=derive_s / _HOUR,
        gpu_hours=workers * (scan_s + derive_s) / _HOUR if rates.gpu else 0.0,
        core_hours=cores * (scan_s + derive_s) / _HOUR,
    )
