"""What a sweep will take, before it is run: an estimate of tokens and cost, and a rehearsal on a virtual clock."""
