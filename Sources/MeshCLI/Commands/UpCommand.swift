internal import ArgumentParser
internal import Foundation

struct UpCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "up",
    abstract: "Run the control plane in the foreground, watching a directory of manifests.",
    discussion: """
      Becomes apus-controller (found beside apus, else along PATH), so signals and the exit code are the controller's.
      Stop it with Ctrl-C; running workloads go on with their last configuration and come back to the next controller.

      EXAMPLES
        apus up -f manifests/
        apus up -f manifests/ --state-dir /tmp/mesh
        apus up -f manifests/ -- --signer https://signer.example.com/mesh     flags of apus-controller follow --

      \(ExitCodes.help)
      """)

  @Option(
    name: [.customShort("f"), .customLong("manifests")], help: "Directory of YAML manifests; watched for changes.")
  var manifests: String

  @Argument(parsing: .postTerminator, help: "Further flags of apus-controller (apus-controller --help).")
  var controllerFlags: [String] = []

  @OptionGroup var state: StateOptions

  func run() throws {
    let directory = try state.directory()
    try directory.checkSocketPath()
    let path = URL(fileURLWithPath: manifests).standardizedFileURL.path
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), isDirectory.boolValue else {
      throw CLIFailure("\(path) is not a directory", fix: "mkdir -p \(path)   (it may be empty; files can come later)")
    }
    let controller = try Executables.companion("apus-controller")
    Terminal.say(
      """
      starting the control plane
        manifests  \(path)
        state      \(directory.path)
        socket     \(directory.socket)
        proxies    \(ControllerProgram.address) (TLS)
      """)
    let arguments = ControllerProgram.arguments(manifests: path, state: directory) + controllerFlags
    let code = ControllerProgram.become(controller, arguments: arguments)
    throw CLIFailure(SpawnFailure(program: controller, code: code).description)
  }
}

/// How `apus-controller` is called.
enum ControllerProgram {
  static let address = "127.66.0.1:15010"

  static func arguments(manifests: String, state: StateDirectory) -> [String] {
    ["apus-controller", "--manifests", manifests, "--state-dir", state.path]
  }

  /// Replaces this process; returns only the errno of a failure.
  static func become(_ path: String, arguments: [String]) -> Int32 {
    var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    // exec keeps ignored signals ignored; the tool ignores this one only for itself.
    signal(SIGPIPE, SIG_DFL)
    execv(path, &pointers)
    return errno
  }
}
