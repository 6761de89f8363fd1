"""Audio: denoisers of waveforms, their training, their measures, and files of any rate and length."""
