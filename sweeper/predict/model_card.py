"""The model card: what a model is, what it was measured at, and what it is not for."""

from __future__ import annotations

import math
from statistics import fmean
from typing import TYPE_CHECKING, Any

from desam_model.encoder.registry import encoder_entry
from desam_model.scoring.metric_table import metrics
from desam_model.scoring.protocol_table import STRICT
from sweeper.config.sources import domains_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sweeper.predict.facts import ModelFacts

CITATIONS: Mapping[str, str] = {
    "desam": "Gao et al., DeSAM, MICCAI 2024, arXiv 2306.00499",
    "medsam": "Ma et al., MedSAM, 2023",
    "unet": "Isensee et al., nnU-Net, Nature Methods 2021 (here a compact U-Net)",
    "upper_bound": "Isensee et al., nnU-Net, Nature Methods 2021 (here a compact U-Net)",
    "advnoise": "Miyato et al., Virtual Adversarial Training, TPAMI 2018",
    "advbias": "Chen et al., Realistic Adversarial Data Augmentation, MICCAI 2020",
    "randconv": "Xu et al., RandConv, ICLR 2021",
    "mixstyle": "Zhou et al., MixStyle, ICLR 2021",
    "maxstyle": "Chen et al., MaxStyle, MICCAI 2022",
    "csdg": "Ouyang et al., Causality-inspired Single-source Domain Generalization, TMI 2022",
}
"""Method -> the paper to cite (docs/methods.md)."""


def site_means(scores: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """Protocol -> domain -> `n` and the mean of every metric; nan where no case defines it.

    Nothing in it belongs to a single patient, unless a domain has a single case.

    Args:
        scores: The scores of an evaluation in the ledger, one per case and protocol.
    """
    grouped: dict[tuple[str, str], list[Mapping[str, float]]] = {}
    for score in scores:
        grouped.setdefault((score["protocol"], score["domain"]), []).append(score["values"])
    means: dict[str, dict[str, dict[str, float]]] = {}
    for (protocol, domain), values in grouped.items():
        row = {"n": float(len(values))}
        for metric in sorted({name for one in values for name in one}):
            defined = [one[metric] for one in values if not math.isnan(one.get(metric, math.nan))]
            row[metric] = fmean(defined) if defined else math.nan
        means.setdefault(protocol, {})[domain] = row
    return means


def model_card(
    facts: ModelFacts, means: Mapping[str, Mapping[str, Mapping[str, float]]], version: str
) -> str:
    """The card in Markdown.

    Args:
        facts: Of the model.
        means: See `site_means`; may be empty.
        version: Of sweeper.
    """
    config = facts.config
    parts = [
        f"# {facts.name}",
        f"Segments **{config.structure}** in 2-D slices of {facts.sizes.image_channels}-channel"
        " images. Trained by sweeper"
        f" {version} as training `{facts.train_id}` ({facts.identity.get('code')}).",
    ]
    if facts.is_synthetic:
        parts.append("**Trained on SYNTHETIC data: for trying out only.**")
    parts += [
        "## Use",
        "```\nsweeper predict THIS_FOLDER scan.nii.gz -o masks\n```",
        _encoder(facts),
        "## Training data",
        f"Dataset `{facts.dataset}` (fingerprint `{facts.identity.get('dataset')}`),"
        f" domain {_source(facts)}: {facts.n_cases} training cases. This folder holds no image, no"
        " case id and no other data of a patient; a 256-bin mean histogram of the training images"
        " is kept, to recognise scans unlike them.",
        "## Scores",
        _table(facts, means),
        "## Limits",
        _limits(facts),
        "## Licence and citation",
        f"The code is Apache-2.0 (see `LICENSE`). Cite {_citation(facts)}. Whether the weights may"
        " be passed on depends on the licence of the training data, which this folder does not"
        " know.",
    ]
    return "\n\n".join(parts) + "\n"


def _encoder(facts: ModelFacts) -> str:
    encoder = facts.encoder
    if encoder is None:
        return "It reads images; no other file is needed."
    entry = encoder_entry(encoder.name)
    where = (
        "its weights are made from a seed, no file is needed"
        if entry.weights is None
        else f"its weights (`{entry.weights.filename}`) are not in this folder: {entry.weights.way}"
    )
    seen = f"; {entry.pretraining.seen}" if entry.pretraining.seen else ""
    pooled = f", pooled by {encoder.pool}" if encoder.pool != 1 else ""
    return (
        f"It reads embeddings of `{encoder.name}` (fingerprint `{encoder.fingerprint}`,"
        f" {encoder.compute}, {encoder.precision}{pooled}); {where}. Other weights are refused."
        f" It was pretrained on {entry.pretraining.data}"
        f"{seen}."
    )


def _table(facts: ModelFacts, means: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """Means per domain under the strict protocol, or the first one that there is."""
    if not means:
        return "It was not scored on any case."
    protocol = STRICT.name if STRICT.name in means else next(iter(means))
    shown = [metric for name, metric in metrics().items() if not name.endswith("_monai_mm")]
    lines = [
        "| domain | cases | " + " | ".join(metric.label for metric in shown) + " |",
        "|---" * (len(shown) + 2) + "|",
    ]
    for domain, row in sorted(means[protocol].items()):
        is_source = domain in domains_in(facts.config.source)
        name = f"{domain} (validation)" if is_source else domain
        cells = [metric.scale * row.get(metric.name, math.nan) for metric in shown]
        values = " | ".join("undefined" if math.isnan(value) else f"{value:.2f}" for value in cells)
        lines.append(f"| {name} | {int(row['n'])} | {values} |")
    settings = facts.config.evaluation.model_dump(exclude_none=True)
    chosen = ", ".join(f"{key} {value}" for key, value in settings.items())
    return (
        "\n".join(lines) + f"\n\nMeans over the cases of a domain, protocol {protocol}, at the"
        f" stored resolution ({chosen}). Undefined values are left out."
    )


def _source(facts: ModelFacts) -> str:
    """The source in words, such as `A and B`."""
    return " and ".join(domains_in(facts.config.source)) or facts.config.source


def _limits(facts: ModelFacts) -> str:
    return "\n".join(
        (
            "- Research only: not a medical device, not for diagnosis or treatment.",
            f"- Trained on {facts.n_cases} cases of {_source(facts)} and one seed; on other"
            " scanners expect the lower scores of the other domains above, or worse.",
            "- Slices are predicted one by one, without their neighbours.",
            f"- A scan without a {facts.config.structure} may still get a mask.",
            "- Look at predictions that `predictions.csv` flags.",
        )
    )


def _citation(facts: ModelFacts) -> str:
    own = CITATIONS.get(facts.config.method.key(), f"the paper of {facts.config.method.key()}")
    if facts.encoder is None:
        return own
    return f"{own}; encoder: {encoder_entry(facts.encoder.name).pretraining.citation}"
