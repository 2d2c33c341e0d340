//! One conversation with one member of etcd.

use tokio_stream::once;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use super::wire::auth_client::AuthClient;
use super::wire::compare::{CompareResult, CompareTarget, TargetUnion};
use super::wire::kv_client::KvClient;
use super::wire::lease_client::LeaseClient;
use super::wire::request_op::Request as Operation;
use super::wire::{
    AuthenticateRequest, Compare, DeleteRangeRequest, LeaseGrantRequest, LeaseKeepAliveRequest,
    LeaseRevokeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
};
use crate::fleet::reach::Secret;
use crate::fleet::standing::{Layout, Standing};
use crate::fleet::trouble::Trouble;

pub(super) struct Session {
    channel: Channel,
    token: Option<MetadataValue<Ascii>>,
}

impl Session {
    pub(super) async fn open(channel: Channel, secret: Option<Secret>) -> Result<Self, Trouble> {
        let mut session = Self { channel, token: None };
        let token = match secret {
            None => return Ok(session),
            Some(Secret::Token(token)) => token.as_str().parse(),
            Some(Secret::Password { username, password }) => {
                let request =
                    AuthenticateRequest { name: username, password: password.as_str().to_owned() };
                let mut client = AuthClient::new(session.channel.clone());
                let answer =
                    client.authenticate(session.request(request)).await.map_err(trouble)?;
                answer.into_inner().token.parse()
            }
        };
        let unusable = |_| Trouble::Misconfigured("the token is not printable ASCII".to_owned());
        let mut token: MetadataValue<Ascii> = token.map_err(unusable)?;
        token.set_sensitive(true);
        session.token = Some(token);
        Ok(session)
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        // A member that is cut off from the others says so at once, instead of waiting for them.
        request.metadata_mut().insert("hasleader", MetadataValue::from_static("true"));
        if let Some(token) = &self.token {
            request.metadata_mut().insert("token", token.clone());
        }
        request
    }

    /// The group as the majority has it now.
    pub(super) async fn standing(&self, layout: &Layout) -> Result<Standing, Trouble> {
        let (key, range_end) = layout.range();
        let request = self.request(RangeRequest { key, range_end });
        let answer = KvClient::new(self.channel.clone()).range(request).await.map_err(trouble)?;
        let answer = answer.into_inner();
        let revision = answer.header.map_or(0, |header| header.revision);
        let mut standing = Standing { revision, ..Standing::default() };
        for pair in &answer.kvs {
            standing.add(layout, &pair.key, &pair.value, pair.lease);
        }
        Ok(standing)
    }

    pub(super) async fn grant(&self, seconds: i64) -> Result<i64, Trouble> {
        let request = self.request(LeaseGrantRequest { ttl: seconds });
        let answer = LeaseClient::new(self.channel.clone()).lease_grant(request).await;
        let answer = answer.map_err(trouble)?.into_inner();
        if answer.error.is_empty() {
            Ok(answer.id)
        } else {
            Err(Trouble::Unavailable(answer.error))
        }
    }

    /// Gives a lease its whole time again. `false`: there is no such lease any more.
    pub(super) async fn keep(&self, lease: i64) -> Result<bool, Trouble> {
        let request = self.request(once(LeaseKeepAliveRequest { id: lease }));
        let answers = LeaseClient::new(self.channel.clone()).lease_keep_alive(request).await;
        let answer = answers.map_err(trouble)?.into_inner().message().await.map_err(trouble)?;
        let silent = || Trouble::Unavailable("the lease was not answered for".to_owned());
        answer.map(|answer| answer.ttl > 0).ok_or_else(silent)
    }

    /// Ends a lease, and with it what was written under it. After this nothing that is still on its
    /// way can be written under it either.
    pub(super) async fn revoke(&self, lease: i64) -> Result<(), Trouble> {
        let request = self.request(LeaseRevokeRequest { id: lease });
        match LeaseClient::new(self.channel.clone()).lease_revoke(request).await {
            Ok(_) => Ok(()),
            Err(status) if status.code() == Code::NotFound => Ok(()),
            Err(status) => Err(trouble(status)),
        }
    }

    /// Not by a transaction: a store that is full takes deletions and no transactions.
    pub(super) async fn delete(&self, key: Vec<u8>) -> Result<(), Trouble> {
        let request = self.request(DeleteRangeRequest { key });
        let done = KvClient::new(self.channel.clone()).delete_range(request).await;
        done.map(|_| ()).map_err(trouble)
    }

    /// Writes, unless anybody has written in the group since `unchanged_since`. `false`: somebody
    /// has, or a lease that is written under has run out.
    pub(super) async fn write(
        &self,
        layout: &Layout,
        unchanged_since: i64,
        changes: Vec<Change>,
    ) -> Result<bool, Trouble> {
        let (key, range_end) = layout.range();
        let newer = unchanged_since.saturating_add(1);
        let unchanged = Compare {
            result: CompareResult::Less.into(),
            target: CompareTarget::Mod.into(),
            key,
            target_union: Some(TargetUnion::ModRevision(newer)),
            range_end,
        };
        let success = changes.into_iter().map(Change::operation).collect();
        let request = self.request(TxnRequest { compare: vec![unchanged], success });
        match KvClient::new(self.channel.clone()).txn(request).await {
            Ok(answer) => Ok(answer.into_inner().succeeded),
            Err(status) if status.code() == Code::NotFound => Ok(false),
            Err(status) => Err(trouble(status)),
        }
    }
}

/// One line of a transaction.
pub(super) enum Change {
    Put { key: Vec<u8>, value: Vec<u8>, lease: i64 },
    Delete { key: Vec<u8> },
}

impl Change {
    fn operation(self) -> RequestOp {
        let request = match self {
            Self::Put { key, value, lease } => {
                Operation::RequestPut(PutRequest { key, value, lease })
            }
            Self::Delete { key } => Operation::RequestDeleteRange(DeleteRangeRequest { key }),
        };
        RequestOp { request: Some(request) }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` wants")]
fn trouble(status: Status) -> Trouble {
    let said = status.message();
    match status.code() {
        Code::Unauthenticated
        | Code::PermissionDenied
        | Code::InvalidArgument
        | Code::Unimplemented
        | Code::FailedPrecondition => Trouble::Misconfigured(said.to_owned()),
        // Of etcd's own words this is the one that people would not understand.
        Code::ResourceExhausted => Trouble::Unavailable(format!(
            "etcd takes no more writes ({said}): compact, defragment and disarm its alarm"
        )),
        _ => Trouble::Unavailable(said.to_owned()),
    }
}
