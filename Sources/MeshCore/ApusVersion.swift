/// The version of this build, the same for all programs of Apus.
public enum ApusVersion {
  public static let current = "0.1.0"
}
