"""`sweeper doctor`: what is damaged in a workspace, what this machine is, what names patients."""
