"""The live preferences document compared with the expected one."""
