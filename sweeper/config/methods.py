"""Every method's options; a trial's `method:` is one of these, told apart by `name`."""

from __future__ import annotations

from sweeper.config.desam import DesamConfig

MethodConfig = DesamConfig
