"""DeSAM and the methods it is compared with: pure PyTorch, no sweep machinery."""
