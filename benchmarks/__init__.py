"""Speed against peers, as ratios: both sides are measured in turn, in one run, on one machine."""
