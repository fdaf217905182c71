"""The product as function calls, one screen each; one module a job."""
