//! Plans: what a lab wants, the steps towards it, the commands they are said in, and the laws that hold for all.

#[cfg(test)]
mod labs;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod model;
#[cfg(test)]
mod random;
#[cfg(test)]
mod wanted;
#[cfg(test)]
mod words;
