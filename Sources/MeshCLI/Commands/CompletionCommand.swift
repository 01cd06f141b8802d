internal import ArgumentParser

struct CompletionCommand: ParsableCommand {
  enum Shell: String, ExpressibleByArgument, CaseIterable, Sendable {
    case bash, zsh, fish
  }

  static let configuration = CommandConfiguration(
    commandName: "completion",
    abstract: "Print a completion script for a shell.",
    discussion: """
      EXAMPLES
        apus completion bash > ~/.local/share/bash-completion/completions/apus
        apus completion zsh > "${fpath[1]}/_apus"
        apus completion fish > ~/.config/fish/completions/apus.fish
      """)

  @Argument(help: "bash, zsh or fish.")
  var shell: Shell

  func run() throws {
    let known: CompletionShell =
      switch shell {
      case .bash: .bash
      case .zsh: .zsh
      case .fish: .fish
      }
    Terminal.print(ApusCommand.completionScript(for: known))
  }
}
