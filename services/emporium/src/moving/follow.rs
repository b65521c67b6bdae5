//! Asking for a move, or deciding one, and looking on until it has ended or waits for a decision.

use std::io::IsTerminal;
use std::time::Duration;

use emporium_moving::record::Phase;
use emporium_moving::{MoveStatus, MoveView};
use emporium_service_kit::client::CallError;
use emporium_service_kit::{Clock, ServiceName};
use indicatif::HumanDuration;
use tokio::sync::oneshot;

use super::{Wish, words};
use crate::Error;
use crate::operator::Operator;
use crate::projections::TIMEOUT;
use crate::terminal::note;
use crate::watch::{self, LOOK, Watch};

/// Where a move is asked for and looked at.
const PATH: &str = "/move";
/// How long the answer to a wish may take: the service opens the other store first.
const ASK_TIMEOUT: Duration = Duration::from_secs(30);
const LOOKING: &str = "looking how far the move is";

/// Why nobody looks on any more.
pub(super) enum End {
    /// It is over.
    Ended(MoveStatus),
    /// Both stores answer, and somebody has to decide.
    Undecided(MoveStatus),
}

/// How a service's data stands.
pub(super) async fn status(operator: &Operator, service: ServiceName) -> Result<MoveStatus, Error> {
    let client = operator.client(ServiceName::Operator, service)?;
    watch::ask(client.get(PATH).timeout(TIMEOUT), "asking where the data is").await
}

/// A move that is looked at.
pub(super) struct Following<'a> {
    operator: &'a Operator,
    service: ServiceName,
    watch: Watch<'a>,
    /// What was told last.
    phase: Option<Phase>,
}

impl<'a> Following<'a> {
    pub fn begin(operator: &'a Operator, service: ServiceName) -> Result<Self, Error> {
        Ok(Self {
            operator,
            service,
            watch: Watch::begin(operator, service, LOOKING)?,
            phase: None,
        })
    }

    /// Takes the progress away.
    pub fn end(&mut self) {
        self.watch.progress.end();
    }

    /// Tells the wish and looks on. With `asks`, a person at the terminal decides what is undecided.
    pub async fn until_ended(&mut self, wish: &Wish, asks: bool) -> Result<End, Error> {
        let asks = asks && std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        let before = status(self.operator, self.service).await?;
        let joins = before.under_way.as_ref().map(|view| (view.id, view.began_at));
        let before = before.last.map(|outcome| outcome.id);
        let mut status = self.tell(wish).await?;
        let mut wanted = None;
        if let (Wish::To(_), Some(view), Some((id, began_at))) = (wish, &status.under_way, joins)
            && view.id == id
        {
            let age = Duration::try_from(Clock::System.now() - began_at).unwrap_or_default();
            let text = format!("joining the move that began {} ago.", HumanDuration(age));
            note(format_args!("{}: {text}", self.service));
        }
        // What is cancelled is undecided until its end.
        let mut decided = matches!(wish, Wish::Cancel);
        loop {
            match &status.under_way {
                Some(view) if wanted.is_some_and(|id| id != view.id) => {
                    return Err(Error::Other(format!(
                        "this move has ended, and another one to {} has begun; `emporium move {}` tells of it",
                        view.to, self.service
                    )));
                }
                Some(view) if view.undecided && !decided => {
                    if !asks {
                        return Ok(End::Undecided(status));
                    }
                    wanted = Some(view.id);
                    match self.decide(status).await? {
                        Decided::Switch => {
                            decided = true;
                            status = self.tell(&Wish::Switch).await?;
                        }
                        Decided::Later(status) => return Ok(End::Undecided(status)),
                        Decided::Elsewhere(next) => status = next,
                    }
                    continue;
                }
                Some(view) => {
                    wanted = Some(view.id);
                    self.show(view)?;
                }
                None => {
                    let last = status.last.as_ref().map(|outcome| outcome.id);
                    if last.is_some() && (last == wanted || last != before) {
                        return Ok(End::Ended(status));
                    }
                    let text = format!("{}: switched; going on in the other store", self.service);
                    self.watch.tell(&text, "", "")?;
                }
            }
            tokio::time::sleep(LOOK).await;
            if let Some(next) = self.watch.look(PATH).await? {
                status = next;
            }
        }
    }

    async fn tell(&self, wish: &Wish) -> Result<MoveStatus, Error> {
        let client = self.watch.client();
        // Whatever is said twice is said once; only a decision may find that the first saying has ended the move already.
        let (call, asking) = match wish {
            Wish::To(request) => (
                client.post(PATH).json(request).idempotent(),
                "asking for the move",
            ),
            Wish::Switch => (client.post("/move/switch"), "deciding for the switch"),
            Wish::Cancel => (client.delete(PATH).once(), "cancelling the move"),
        };
        let told = call.timeout(ASK_TIMEOUT).send().await;
        told.map_err(|error| self.refused(asking, error))
    }

    /// What the service says to a wish it does not follow has the remedy in it.
    fn refused(&self, asking: &'static str, error: CallError) -> Error {
        let service = self.service;
        match &error {
            CallError::Problem { problem, .. } if problem.code == "not-moving" => Error::Other(format!(
                "no move of {service} is under way; `emporium move {service}` tells where the data is"
            )),
            CallError::Problem { problem, .. } if problem.code == "moving" => Error::Other(format!(
                "{} (`emporium move {service}` tells of it, with --cancel it ends)",
                problem.detail.trim_end_matches('.')
            )),
            CallError::Problem { problem, .. } if matches!(problem.status.as_u16(), 409 | 422) => {
                Error::Other(problem.detail.clone())
            }
            _ => watch::failed(asking, error),
        }
    }

    fn show(&mut self, view: &MoveView) -> Result<(), Error> {
        let text = format!("{}: {}", self.service, words::doing(self.service, view));
        if self.phase.replace(view.phase) != Some(view.phase) {
            // Where there is no terminal, each phase has its line.
            self.watch.progress.turn(&text);
        }
        self.watch.tell(&text, "", &view.trouble.join("; "))
    }

    /// Shows what is compared until somebody has typed an answer.
    async fn decide(&mut self, mut status: MoveStatus) -> Result<Decided, Error> {
        let mut line = typed();
        loop {
            let Some(view) = status.under_way.as_ref().filter(|view| view.undecided) else {
                self.watch.progress.end();
                note("Somebody else has decided.");
                return Ok(Decided::Elsewhere(status));
            };
            self.watch.progress.ask(words::question(self.service, view));
            tokio::select! {
                answer = &mut line => {
                    self.watch.progress.end();
                    let yes = matches!(answer.unwrap_or_default().trim(), "y" | "Y" | "yes");
                    return Ok(if yes { Decided::Switch } else { Decided::Later(status) });
                }
                () = tokio::time::sleep(LOOK) => {}
            }
            if let Some(next) = self.watch.look(PATH).await? {
                status = next;
            }
        }
    }
}

enum Decided {
    Switch,
    Later(MoveStatus),
    Elsewhere(MoveStatus),
}

/// A line from the terminal, on a thread of its own: nothing else waits for it.
fn typed() -> oneshot::Receiver<String> {
    let (told, line) = oneshot::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        // The end of the input is no answer, and so is an input that fails.
        let _ = std::io::stdin().read_line(&mut text);
        let _ = told.send(text);
    });
    line
}
