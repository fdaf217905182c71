"""What is known of a trained model: everything but its weights, as text and numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from desam_model.encoder.entry import MapShape
from sweeper.config.sources import domains_in
from sweeper.config.trial import TrialConfig
from sweeper.data.preprocessing import Preprocessing
from sweeper.errors import DataError
from sweeper.factory import Sizes
from sweeper.predict.intensities import Intensities

if TYPE_CHECKING:
    from collections.abc import Mapping

    from desam_model.encoder.entry import Compute


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderFacts:
    """The frozen encoder that a model reads, and how its training computed embeddings.

    Attributes:
        name: Name of the encoder.
        fingerprint: Identity of its weights; with other weights the model is meaningless.
        compute: Arithmetic of the encoder.
        precision: Precision to which embeddings are rounded before the model reads them.
        block: Slices encoded together.
        pool: Side of the squares of tokens whose mean is read.
    """

    name: str
    fingerprint: str
    compute: Compute
    precision: str
    block: int
    pool: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """A trained model without its weights.

    Attributes:
        train_id: Identity of the training.
        name: Human name, such as `desam full prostate A-ISBI seed 0`.
        config: The trial, with the evaluation settings that predictions use; it has no path.
        identity: The values whose hash is the train_id.
        sizes: Sizes with which the method is built.
        encoder: The encoder; None for a method that reads images.
        preprocessing: Domain of the dataset -> settings of its preprocessing.
        intensities: Of the training cases.
        dataset: Name of the training data.
        is_synthetic: True if they are a phantom.
        n_cases: Number of training cases.
    """

    train_id: str
    name: str
    config: TrialConfig
    identity: Mapping[str, Any]
    sizes: Sizes
    encoder: EncoderFacts | None
    preprocessing: Mapping[str, Mapping[str, Any]]
    intensities: Intensities
    dataset: str
    is_synthetic: bool
    n_cases: int

    def settings_for(self, domain: str | None) -> Preprocessing:
        """Preprocessing of images of a domain; by default of those that it was trained on.

        Raises:
            DataError: The domain is unknown, or none is given and the training's differ.
        """
        trained_on = domains_in(self.config.source, tuple(self.preprocessing))
        chosen = [self.preprocessing.get(d) for d in ([domain] if domain else trained_on)]
        settings = [_settings(values) for values in chosen if values is not None]
        names = ", ".join(sorted(self.preprocessing))
        if not settings:
            raise DataError(
                f"--domain is {domain!r}, but {self.name} was trained on dataset {self.dataset}"
                f" with {names}; choose the one whose images are most like yours"
            )
        if any(other != settings[0] for other in settings):
            raise DataError(
                f"{self.name} was trained on domains with different preprocessing; choose the one"
                f" whose images are most like yours with --domain: {names}"
            )
        return settings[0]

    def to_json(self) -> dict[str, Any]:
        """The facts as plain values."""
        return {
            **{name: getattr(self, name) for name in self.__slots__},
            "config": self.config.model_dump(mode="json"),
            "sizes": asdict(self.sizes),
            "encoder": None if self.encoder is None else asdict(self.encoder),
            "intensities": asdict(self.intensities),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ModelFacts:
        """The facts from the values of `to_json`.

        Raises:
            KeyError, TypeError, ValueError: A value is missing or wrong.
        """
        sizes, intensities = dict(values["sizes"]), values["intensities"]
        sizes["taps"] = tuple(_map_shape(tap) for tap in sizes["taps"])
        sizes["neck"] = _map_shape(sizes["neck"])
        known = {
            **values,
            "config": TrialConfig.model_validate(values["config"]),
            "sizes": Sizes(**sizes),
            "encoder": None if values["encoder"] is None else EncoderFacts(**values["encoder"]),
            "intensities": Intensities(
                mean=tuple(intensities["mean"]), limit=float(intensities["limit"])
            ),
        }
        return cls(**{name: known[name] for name in cls.__slots__})


def _map_shape(values: Mapping[str, Any]) -> MapShape:
    height, width = values["grid_hw"]
    return MapShape(int(values["channels"]), (int(height), int(width)))


def _settings(values: Mapping[str, Any]) -> Preprocessing:
    plain: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
    }
    return Preprocessing(**plain)
