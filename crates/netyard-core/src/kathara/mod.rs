//! Labs of Kathara as they are: its files read as Kathara 3.8.3 reads them, and what they become here.

pub mod conf;
pub mod dep;
pub mod quagga;
pub mod setting;
