"""How tables are written: terminal, Markdown, LaTeX, CSV, JSON, HTML."""
