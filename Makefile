# All that CI does: `make check`.
.PHONY: check format lint types imports test pin

check: lint types imports test

format:
	uv run ruff format .
	uv run ruff check --fix .

lint:
	uv run ruff check .
	uv run ruff format --check .

types:
	uv run mypy

imports:
	uv run lint-imports

test:
	uv run pytest

pin:
	uv lock --upgrade
	uv run --no-sync python .ci/pin.py
