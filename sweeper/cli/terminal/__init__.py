"""Between the commands and the person: texts, progress, questions, a terminal that closes."""
