//! Values with small numbers as their addresses.

/// Grows by chunks: one vector would hold twice what it needs after each doubling.
#[derive(Debug)]
pub(super) struct Slab<T> {
    chunks: Vec<Vec<T>>,
    free: Vec<u32>,
    len: usize,
}

const CHUNK: usize = 1024;

impl<T> Slab<T> {
    pub(super) fn new() -> Self {
        Self { chunks: Vec::new(), free: Vec::new(), len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// `None` when all addresses are taken.
    pub(super) fn insert(&mut self, value: T) -> Option<u32> {
        if let Some(at) = self.free.pop() {
            *self.get_mut(at)? = value;
            self.len += 1;
            return Some(at);
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let full = (self.chunks.len() - 1) * CHUNK;
        let chunk = self.chunks.last_mut()?;
        let at = u32::try_from(full + chunk.len()).ok().filter(|&at| at != u32::MAX)?;
        chunk.push(value);
        self.len += 1;
        Some(at)
    }

    /// The address may be given to another value from now on.
    pub(super) fn remove(&mut self, at: u32) {
        self.free.push(at);
        self.len -= 1;
    }

    pub(super) fn get(&self, at: u32) -> Option<&T> {
        let at = usize::try_from(at).ok()?;
        self.chunks.get(at / CHUNK)?.get(at % CHUNK)
    }

    pub(super) fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        let at = usize::try_from(at).ok()?;
        self.chunks.get_mut(at / CHUNK)?.get_mut(at % CHUNK)
    }

    /// What is allocated, without what the values themselves own.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.chunks.len() * CHUNK * size_of::<T>()
            + self.chunks.capacity() * size_of::<Vec<T>>()
            + self.free.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_at_its_address_across_chunks() {
        let mut slab = Slab::new();
        let addresses: Vec<_> = (0..3000).map(|n| slab.insert(n).unwrap()).collect();
        for (n, at) in addresses.into_iter().enumerate() {
            assert_eq!(slab.get(at), Some(&n));
        }
    }

    #[test]
    fn a_free_address_is_used_again() {
        let mut slab = Slab::new();
        let first = slab.insert("first").unwrap();
        slab.remove(first);

        assert_eq!(slab.insert("second"), Some(first));
        assert_eq!(slab.get(first), Some(&"second"));
        assert_eq!(slab.len(), 1);
    }
}
