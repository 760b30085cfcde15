//! Reading the settings again while the gateway runs: all of them are right, or nothing changes.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use super::{Exporters, Gates};
use crate::redact::Policy;
use crate::serve::Reload;
use crate::settings::{Loaded, Settings, Sources, in_full};

/// Changes how much Hopline writes to its own log.
pub(crate) type SetLevel = Arc<dyn Fn(tracing::Level) + Send + Sync>;

/// What can be replaced, and what it was made of.
pub(crate) struct Reloader {
    pub(crate) sources: Sources,
    /// Locked while settings are read: one after the other.
    pub(crate) loaded: Mutex<Loaded>,
    pub(crate) policy: Arc<ArcSwap<Policy>>,
    pub(crate) gates: Gates,
    pub(crate) exporters: Arc<Exporters>,
    /// The consumer that is always there, if anything is joined.
    pub(crate) join: Option<String>,
    pub(crate) set_level: SetLevel,
}

impl Reloader {
    /// What the API calls.
    pub(crate) fn handle(self: Arc<Self>) -> Reload {
        Arc::new(move || {
            let reloader = Arc::clone(&self);
            // Whoever asked may go away; what has begun is done to its end all the same.
            let reloading = tokio::spawn(async move { reloader.reload().await });
            let lost = |_| Err("the settings could not be read for a fault".to_owned());
            Box::pin(async move { reloading.await.unwrap_or_else(lost) })
        })
    }

    /// Reads the settings and puts them in effect; answers the keys that changed.
    ///
    /// # Errors
    /// When the settings are refused, in words. Then nothing has changed.
    pub(crate) async fn reload(&self) -> Result<Vec<String>, String> {
        let reloaded = self.try_reload().await;
        match &reloaded {
            Ok(changed) => tracing::info!(changed = changed.join(", "), "settings read again"),
            Err(error) => tracing::error!(%error, "settings refused; nothing has changed"),
        }
        reloaded
    }

    async fn try_reload(&self) -> Result<Vec<String>, String> {
        let mut loaded = self.loaded.lock().await;
        let new = Loaded::load(&self.sources).map_err(|error| in_full(&error))?;
        let changed = new.changed_since(&loaded).map_err(|error| in_full(&error))?;
        let policy = policy(&new.settings)?;
        self.policy.store(Arc::new(policy));
        self.gates.reload(&new.settings).await;
        (self.set_level)(new.settings.telemetry.level);
        self.exporters.apply(&new.settings.export).await;
        self.exporters.forget_all_but(&new.settings.export, self.join.as_deref());
        *loaded = new;
        Ok(changed)
    }
}

fn policy(settings: &Settings) -> Result<Policy, String> {
    let key = settings.pseudonym_key().map_err(|error| in_full(&error))?;
    Policy::new(&settings.for_redact(key)).map_err(|error| in_full(&error))
}
