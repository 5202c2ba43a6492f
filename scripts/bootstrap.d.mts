export function isNewEnough(version: string): boolean;
export function installCommand(system: string, tooOld: boolean): string;
