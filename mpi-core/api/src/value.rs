//! Messages of any value that serde can write and read, in postcard's format.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Communicator, Destination, Error, ErrorClass, Result, Source, Status, Tag};

fn written<V: Serialize + ?Sized>(value: &V) -> Result<Vec<u8>> {
    postcard::to_stdvec(value).map_err(|why| {
        let sentence = format!(
            "a value of type {} cannot be written: {why}",
            core::any::type_name::<V>()
        );
        Error::new(ErrorClass::TYPE, sentence)
    })
}

fn read<V: DeserializeOwned>(bytes: &[u8]) -> Result<V> {
    let failed = |why: String| {
        let sentence = format!(
            "a message of {} bytes is no value of type {}: {why}; was it sent with send_value?",
            bytes.len(),
            core::any::type_name::<V>()
        );
        Error::new(ErrorClass::TYPE, sentence)
    };
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(failed(format!("{} bytes are too many", rest.len()))),
        Err(why) => Err(failed(why.to_string())),
    }
}

impl Communicator {
    /// Sends a value of any type that serde can write.
    ///
    /// ```
    /// # let universe = mpi_core::init()?;
    /// let world = universe.this_process();
    /// world.send_value(&("answer", vec![Some(42), None]), 0, 0)?;
    /// let (value, _) = world.recv_value::<(String, Vec<Option<i32>>)>(0, 0)?;
    /// assert_eq!(value, ("answer".to_owned(), vec![Some(42), None]));
    /// # mpi_core::Result::Ok(())
    /// ```
    ///
    /// # Errors
    /// When the value cannot be written; as [`Communicator::send`].
    pub fn send_value<V: Serialize + ?Sized>(
        &self,
        value: &V,
        dest: impl Into<Destination>,
        tag: i32,
    ) -> Result<()> {
        self.send(&written(value)?, dest, tag)
    }

    /// Receives a value that was sent with [`Communicator::send_value`].
    ///
    /// # Errors
    /// When the message is no such value; as [`Communicator::recv_vec`].
    pub fn recv_value<V: DeserializeOwned>(
        &self,
        source: impl Into<Source>,
        tag: impl Into<Tag>,
    ) -> Result<(V, Status)> {
        let (bytes, status) = self.recv_vec::<u8>(source, tag)?;
        Ok((read(&bytes)?, status))
    }

    /// The root's value for all. Others than the root say `None`.
    ///
    /// # Errors
    /// When the root has no value, or one that cannot be written (then at all ranks); as
    /// [`Communicator::broadcast`].
    pub fn broadcast_value<V: Serialize + DeserializeOwned>(
        &self,
        value: Option<V>,
        root: usize,
    ) -> Result<V> {
        self.checked_root(root)?;
        let own = self.rank() == root;
        let bytes = match &value {
            Some(value) if own => written(value),
            _ => Ok(Vec::new()),
        };
        let mut failed = own && (value.is_none() || bytes.is_err());
        self.broadcast(&mut failed, root)?;
        if failed {
            bytes?;
            let sentence =
                format!("root {root} has no value to broadcast, or one that cannot be written");
            return Err(Error::new(ErrorClass::ARG, sentence));
        }
        let mut bytes = bytes?;
        self.broadcast_vec(&mut bytes, root)?;
        match value {
            Some(value) if own => Ok(value),
            _ => read(&bytes),
        }
    }

    /// All members' values for the root, in the order of rank. `None` elsewhere.
    ///
    /// # Errors
    /// When a value cannot be written; as [`Communicator::broadcast`].
    pub fn gather_values<V: Serialize + DeserializeOwned>(
        &self,
        value: &V,
        root: usize,
    ) -> Result<Option<Vec<V>>> {
        let gathered = self.gather_v(&written(value)?, root)?;
        gathered
            .map(|all| all.iter().map(|bytes| read(bytes)).collect())
            .transpose()
    }

    /// All members' values for all, in the order of rank.
    ///
    /// # Errors
    /// When a value cannot be written; when a member is lost.
    pub fn all_gather_values<V: Serialize + DeserializeOwned>(&self, value: &V) -> Result<Vec<V>> {
        self.all_gather_v(&written(value)?)?
            .iter()
            .map(|bytes| read(bytes))
            .collect()
    }
}
