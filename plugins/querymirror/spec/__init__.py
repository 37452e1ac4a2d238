"""Job specs: what a YAML file in include/jobs may say, as frozen values."""
