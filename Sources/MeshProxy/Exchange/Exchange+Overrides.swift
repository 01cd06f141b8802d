import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime

// What single requests of allowed callers ask for themselves. The fields end here, whoever sent them.
extension Exchange {
  /// The rule as this request has it; nil when it was answered, since what it asks for cannot be read.
  func ownRule(_ rule: CompiledRule) -> CompiledRule? {
    let asked = RequestOverrides(request, rule.overrides)
    request.removeFields(.overrides)
    guard let asked else {
      fail(.badOverride)
      return nil
    }
    return asked.isEmpty ? rule : CompiledRule(rule, with: asked)
  }
}
