"""DeSAM: prompts, PRIM, PDMM, their losses and ablations, and the authors' checkpoints."""
