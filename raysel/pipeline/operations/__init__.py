"""What it takes to operate runs: submit them to a cluster and follow them, see how far they are, check the machines."""
