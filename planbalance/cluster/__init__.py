"""Past one machine: the scripts and the engines that run the shards of a plan on many nodes."""
