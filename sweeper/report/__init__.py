"""From long rows to tables, figures and pages."""
