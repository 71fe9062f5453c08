/// The supervisor: the process that never reads traffic, and keeps one running that does.
///
/// It holds the listening sockets, starts the edge process and starts it again after a crash, hands
/// it new generations, and executes a new binary in its own place. The one difficulty is the order of
/// things: whatever can fail is done before anything is given up, so that a configuration with
/// errors, a socket that is not to be had or a binary that does not run changes nothing.
///
/// ```swift
/// try Supervisor.run(SupervisorOptions(stateDirectory: "/run/martlet", edge: edge, load: load))
/// let text = try ControlClient(stateDirectory: "/run/martlet").ask("status")
/// ```
import Handover
import MartletLoop
import MartletNet
import MartletProcess
import MartletSystem
