"""The demo: real photographs and a real pretrained network, both taken from packages that pip installs.

``raysel demo`` makes an index of them without a download or an account. The packages are those of ``raysel[demo]``.
"""
