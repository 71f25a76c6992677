"""Results as text: terminal tables, JSON, Markdown, CSV, LaTeX. One page, five renderers."""
