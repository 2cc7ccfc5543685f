"""The group `labcycle tiers`: which machines there are, and which fits."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from labcycle.client.decisions import AsJson
from labcycle.client.fitting import Fit, Need, fitting, unfit
from labcycle.client.tables import print_json, print_table
from labcycle.config import TIERS, HardwareTier, InstanceType
from labcycle.config.instance_types import surveyed_regions
from labcycle.config.price_list import AS_OF, REGION
from labcycle.config.regions import known_regions
from labcycle.errors import LabcycleError

_SHOWN = 8

Region = Annotated[str | None, typer.Option(help="Only what this region of AWS has. Absent: all.")]

app = typer.Typer(
    name="tiers",
    invoke_without_command=True,
    help="The hardware tiers that team files name, with prices, and which of them fits.",
)


@app.callback()
def listing(context: typer.Context, region: Region = None, as_json: AsJson = False) -> None:
    """List the tiers of the catalogue."""
    if context.invoked_subcommand:
        if region or as_json:
            raise LabcycleError(f"labcycle tiers: write the options behind {context.invoked_subcommand}")
        return
    _check(region)
    tiers = [tier for tier in TIERS.values() if region is None or tier.machine.is_in(region)]
    if as_json:
        return print_json({"prices": _prices(), "region": region, "tiers": [_tier_doc(tier) for tier in tiers]})
    rows = [(tier.name, *_has(tier.machine), _usd(tier.usd_per_hour), tier.purpose) for tier in tiers]
    where = f" in {region}" if region else ""
    headings = ("tier", "instance", "vCPU", "GiB", "accelerators", "own disks", "network", "USD/h", "for")
    print_table(f"Hardware tiers{where}", headings, rows)
    if missing := [tier.name for tier in TIERS.values() if tier not in tiers]:
        typer.echo(f"{region} does not have: {', '.join(missing)}")
    _print_notes(region)


@app.command()
def advise(
    memory: Annotated[float, typer.Option(min=0, help="GiB of memory, at least.")] = 0,
    vcpus: Annotated[int, typer.Option(min=0, help="Virtual processors, at least.")] = 0,
    gpu: Annotated[int, typer.Option(min=0, help="GPUs, at least.")] = 0,
    gpu_memory: Annotated[float, typer.Option(min=0, help="GiB of memory of all GPUs together, at least.")] = 0,
    neuron: Annotated[bool, typer.Option("--neuron", help="AWS's own accelerators in the place of GPUs.")] = False,
    hours: Annotated[float, typer.Option(min=0, help="Hours of use, of which the price is told.")] = 1,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Rank the machines that fit by price, and say why. Exits 1 where none does."""
    _check(region)
    need = Need(memory, vcpus, gpu, gpu_memory, neuron)
    fits, others = fitting(need, region), list(unfit(need, region))
    if as_json:
        print_json(
            {
                "need": asdict(need),
                "hours": hours,
                "region": region,
                "prices": _prices(),
                "fits": [_fit_doc(fit, hours) for fit in fits],
                "tiers_that_do_not_fit": [{"tier": tier.name, "lacks": why} for tier, why in others],
            }
        )
    else:
        _print_fits(fits, others, hours, region)
    if not fits:
        raise typer.Exit(1)


def _print_fits(fits: list[Fit], others: list[tuple[HardwareTier, str]], hours: float, region: str | None) -> None:
    if not fits:
        typer.echo(f"No machine of the catalogue fits{f' in {region}' if region else ''}. Nearest are:")
        for tier, why in sorted(others, key=lambda pair: (pair[1].count(";"), -(pair[0].usd_per_hour or 0)))[:_SHOWN]:
            typer.echo(f"  {tier.name}: {why}")
        return
    first_tier = next((fit for fit in fits if fit.tiers), None)
    shown = fits[:_SHOWN] if first_tier is None or first_tier in fits[:_SHOWN] else [*fits[: _SHOWN - 1], first_tier]
    rows = [
        (", ".join(fit.tiers), *_has(fit.machine)[:4], _usd(fit.usd_per_hour), _usd(_times(fit, hours)), fit.reason)
        for fit in shown
    ]
    headings = ("tier", "instance", "vCPU", "GiB", "accelerators", "USD/h", f"USD for {hours:g} h", "why")
    print_table("What fits, the cheapest first", headings, rows)
    best = fits[0]
    if best.tiers:
        typer.echo(f"In the team file: workspaces: {{tiers: [{best.tiers[0]}]}}")
    else:
        typer.echo(
            f"In the team file, beside tiers: own_tiers: [{{name: {best.machine.name.replace('.', '-')}, "
            f"instance_type: {best.machine.name}}}]"
        )
    _print_notes(region)


def _print_notes(region: str | None) -> None:
    typer.echo(f"Prices: on demand, Linux, estimates of {AS_OF}, {REGION}; other regions may be dearer.")
    if region and region not in surveyed_regions():
        typer.echo(f"What {region} has is not known here: all are shown.")


def _check(region: str | None) -> None:
    if region is not None and region not in known_regions():
        raise LabcycleError(f"--region: got {region}; allowed is a region of AWS, such as eu-west-1")


def _has(machine: InstanceType) -> tuple[str, str, str, str, str, str]:
    disks = f"{machine.storage_gb:,} GB" if machine.storage_gb else ""
    chips = str(machine.accelerators or "")
    return machine.name, str(machine.vcpus), f"{machine.memory_gib:g}", chips, disks, machine.network


def _usd(price: float | None) -> str:
    return "?" if price is None else f"{price:,.2f}"


def _times(fit: Fit, hours: float) -> float | None:
    return None if fit.usd_per_hour is None else fit.usd_per_hour * hours


def _tier_doc(tier: HardwareTier) -> dict[str, Any]:
    return {
        "tier": tier.name,
        **_machine_doc(tier.machine),
        "usd_per_hour": tier.usd_per_hour,
        "purpose": tier.purpose,
    }


def _fit_doc(fit: Fit, hours: float) -> dict[str, Any]:
    return {
        "tiers": list(fit.tiers),
        **_machine_doc(fit.machine),
        "usd_per_hour": fit.usd_per_hour,
        "usd": _times(fit, hours),
        "reason": fit.reason,
    }


def _machine_doc(machine: InstanceType) -> dict[str, Any]:
    chips = machine.accelerators
    return {
        "instance_type": machine.name,
        "vcpus": machine.vcpus,
        "memory_gib": machine.memory_gib,
        "accelerators": asdict(chips) if chips else None,
        "storage_gb": machine.storage_gb,
        "network": machine.network,
        "missing_regions": sorted(machine.missing),
    }


def _prices() -> dict[str, Any]:
    return {"as_of": AS_OF, "region": REGION}
