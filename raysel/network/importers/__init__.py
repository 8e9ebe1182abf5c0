"""Where networks come from, one file per origin: torchvision, Chatfield et al., MatConvNet, the user's own factory."""
