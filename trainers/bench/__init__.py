"""The speed of fused training beside a plain loop, on this machine: `python -m trainers.bench`.

Plain: one ordinary `torch.optim.AdamW` loop per core (on CUDA one for the device), each process with one
thread. Fused: one process per core (or one for the device) that trains a tile by `train_fused`. All processes
run at the same time and their rates are summed, so that both keep the same cores busy; plain and fused take
turns in every round.

A fused run is timed as a whole: copying the initial weights, the initial loss, every step, evaluation before
and after on 32 images, and the judging of curves. The plain loop is steps alone. (In a run of five steps, the
shortest, the rest is about a tenth of the work.) A cell is a budget of 200 steps of 64 images, in float32.
Shares are of the rate that a float32 matrix product reaches on the same cores; the work counted for them is
that of matrix products and convolutions, forward and backward.

No speed is shown unless fused and serial losses agree in float64, in every process and for every model.
"""
