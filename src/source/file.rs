//! Capture files as a source of frames.
