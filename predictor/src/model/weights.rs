//! Tensors by name: what the layers ask for, what is missing, extra, or of another shape.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use candle_core::{DType, Device, Result, Tensor};

use super::compute::Compute;

/// What is wrong with a checkpoint's tensors, each by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// Names that the layers need and the checkpoint lacks.
    pub missing: Vec<String>,
    /// Names that no layer asks for.
    pub extra: Vec<String>,
    /// Names whose shape or content is not what the layers need, and how.
    pub wrong: Vec<String>,
}

impl Faults {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.wrong.is_empty()
    }
}

/// A place among a checkpoint's names. Layers take their tensors from it; what it lacks is noted, and only
/// [`Weights::finish`] tells whether the network may be used.
#[derive(Debug, Clone)]
pub(super) struct Weights {
    shared: Rc<Shared>,
    prefix: String,
}

#[derive(Debug)]
struct Shared {
    tensors: BTreeMap<String, Tensor>,
    compute: Compute,
    taken: RefCell<BTreeSet<String>>,
    faults: RefCell<Faults>,
}

impl Weights {
    /// Layers put their tensors where `compute` says.
    pub(super) fn new(tensors: BTreeMap<String, Tensor>, compute: Compute) -> Self {
        let shared = Shared { tensors, compute, taken: RefCell::default(), faults: RefCell::default() };
        Self { shared: Rc::new(shared), prefix: String::new() }
    }

    /// What the layers are for.
    pub(super) fn compute(&self) -> &Compute {
        &self.shared.compute
    }

    /// The place one name further down.
    pub(super) fn at(&self, name: impl ToString) -> Self {
        Self { shared: Rc::clone(&self.shared), prefix: self.name(&name.to_string()) }
    }

    /// The tensor of this name here; zeros where it is missing or of another shape.
    pub(super) fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        self.host(name, shape)?.to_device(self.compute().device())
    }

    fn host(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let name = self.name(name);
        let found = self.shared.tensors.get(&name);
        self.shared.taken.borrow_mut().insert(name.clone());
        let mut faults = self.shared.faults.borrow_mut();
        match found {
            Some(tensor) if tensor.dims() == shape => return tensor.to_dtype(DType::F32)?.contiguous(),
            Some(tensor) => faults.wrong.push(format!("{name} has shape {:?}, not {shape:?}", tensor.dims())),
            None => faults.missing.push(name),
        }
        Tensor::zeros(shape, DType::F32, &Device::Cpu)
    }

    /// Checks that another name here holds the same numbers: the reference shares one layer under both.
    pub(super) fn same(&self, name: &str, tensor: &Tensor) -> Result<()> {
        let (other, tensor) = (self.host(name, tensor.dims())?, tensor.to_device(&Device::Cpu)?);
        let equal = super::rows::read(&other, |other| super::rows::read(&tensor, |tensor| other == tensor))??;
        let name = self.name(name);
        if !equal && self.shared.tensors.contains_key(&name) {
            let fault = format!("{name} differs from the tensor that it shares a layer with");
            self.shared.faults.borrow_mut().wrong.push(fault);
        }
        Ok(())
    }

    /// What is wrong, now that every layer has taken what it needs.
    pub(super) fn finish(self) -> Faults {
        let taken = self.shared.taken.borrow();
        let mut faults = self.shared.faults.borrow().clone();
        faults.extra = self.shared.tensors.keys().filter(|name| !taken.contains(*name)).cloned().collect();
        faults
    }

    fn name(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }
}
