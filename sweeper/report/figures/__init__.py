"""Figures of papers: plots of a query, and pictures of cases."""

WIDTH_CM = 17.4
"""Width of a figure on paper by default: a page of two columns."""

PNG_DPI = 200
"""Dots per inch of PNG files; the PDF files are vector graphics."""
